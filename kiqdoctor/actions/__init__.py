"""What ``top`` and ``fix`` may write to Redis: each action with its preview in plain words, and its undo."""

from kiqdoctor.actions.doing import Actions, Done, Reversal
from kiqdoctor.actions.proposals import JobEntry, Proposal, Verb, propose

__all__ = ["Actions", "Done", "JobEntry", "Proposal", "Reversal", "Verb", "propose"]
