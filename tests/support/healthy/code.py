"""Source in which nothing is wrong: one job, which is enqueued outside any transaction."""

from kiqdoctor.doctor.facts.code import (
    AtBoot,
    BuiltAtLoad,
    Call,
    Calls,
    Code,
    Deserializations,
    Enqueue,
    Enqueues,
    Execution,
    Forks,
    Function,
    Handlers,
    Ignores,
    Imports,
    Job,
    Model,
    Named,
    NetworkCalls,
    Patches,
    Place,
    SharedUses,
    Signature,
    Signatures,
    Transactions,
    Way,
    Writes,
)
from kiqdoctor.doctor.facts.code.habits import (
    Fetching,
    LateLoads,
    Leaks,
    MongoClients,
    PopLimits,
    Releases,
    WholeSeconds,
)
from kiqdoctor.doctor.facts.code.hook_tests import HookTests
from kiqdoctor.doctor.facts.code.state import StateWrites

PERFORM = Function("SendMail#perform", Place("app/jobs/send_mail.rb", 4), "ruby")
CREATE = Function("Orders#create", Place("app/controllers/orders.rb", 2), "ruby")
SCRIPT = Function("tools", Place("tools.py", 1), "python", body=True)
CODE = Code((PERFORM, CREATE, SCRIPT), reached=1, jobs=(Job("SendMail", 0, "sidekiq"),), files=3)
ENQUEUE = Enqueue(1, 5, 5, "SendMail", "perform_async")
FACTS = (
    CODE,
    AtBoot(),
    Execution((Way("sidekiq", Model.THREADS, "what sidekiq does where nothing else is said"),)),
    Imports(),
    Calls((Call(1, 6, 5, "?.death_handlers"),)),
    Deserializations(),
    SharedUses(),
    Writes(),
    StateWrites(),
    BuiltAtLoad(),
    Forks(),
    Enqueues((ENQUEUE,)),
    Transactions(),
    Handlers(),
    NetworkCalls(),
    Patches(),
    Ignores(),
    HookTests(),
    MongoClients(),
    Releases(),
    Leaks(),
    WholeSeconds(),
    PopLimits(),
    LateLoads(),
    Fetching((Named(1, 2, 1, "reliable"),)),
    Signatures((Signature(0, 4, 3, ("SendMail",), ("address",), 1),)),
)
