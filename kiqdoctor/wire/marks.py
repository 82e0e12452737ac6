"""What a core file tells of the jobs that ran: a mapping with a name of its own, and one record a thread in it.

A record points at the payload's bytes, which lie in the same core: so it costs a job one write of 32 bytes.
"""

from struct import Struct
from typing import Final

NAME: Final = "kiqdoctor-jobs"  # of the mapping, as /proc/PID/maps and a core's notes show it
MAGIC: Final = b"kiqdoctor jobs 1"
HEADER: Final = Struct("<16sIII")  # MAGIC, the process's pid, bytes before the first record, records
RECORD: Final = Struct("<BxxxIQQd")  # 1: a job runs; the thread's id, the payload's address and size, since (epoch)
START: Final = 64  # bytes before the first record
RECORDS: Final = 510
SIZE: Final = 16_384  # bytes of the mapping; what no thread wrote to takes no memory
