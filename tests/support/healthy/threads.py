"""A healthy worker's threads: five that wait for jobs, in three looks."""

from healthy.moment import NOW
from kiqdoctor.doctor.facts.threads import Call, Frame, ProcessLooks, Thread, ThreadLooks, Threads

WAITING = Frame("brpop", "/usr/lib/ruby/gems/redis-5.4.1/lib/redis/commands/lists.rb", 167)
THREADS = tuple(
    Thread(f"t{number}", f"processor {number}", (WAITING,), state="sleeping", cpu_s=1.0, call=Call("poll"))
    for number in range(5)
)
LOOKS = tuple(Threads("4711", NOW - 1 + 0.5 * at, "py-spy", THREADS, state="sleeping") for at in range(3))
FACTS = (ThreadLooks((ProcessLooks(4711, LOOKS),)),)
