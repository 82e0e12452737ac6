workers 2
threads 1, 5
