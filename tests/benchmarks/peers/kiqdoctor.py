"""kiqdoctor: ``kiqdoctor work benchmarks.peers.kiqdoctor``."""

from benchmarks.peers.work import JOBS, URL

import kiqdoctor

TASKS = {name: kiqdoctor.job(name=name)(function) for name, function in JOBS.items()}

if __name__ == "__main__":
    from benchmarks.peers.driving import Client, main

    kiqdoctor.configure(redis=URL)
    main(Client(lambda name, args: TASKS[name].perform_async(*args), lambda name, many: TASKS[name].perform_bulk(many)))
