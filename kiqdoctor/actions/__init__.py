"""What ``top`` and ``fix`` may write to Redis: each action with its preview in plain words, and its undo."""

from kiqdoctor.actions.doing import Actions, Done, Reversal
from kiqdoctor.actions.plans import Job, Plan, Verb, plan

__all__ = ["Actions", "Done", "Job", "Plan", "Reversal", "Verb", "plan"]
