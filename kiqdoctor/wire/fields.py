"""The names of a payload's fields: Sidekiq's own, those of its paid editions, and what our runtime adds."""

from typing import Final

CLASS: Final = "class"
ARGS: Final = "args"
JID: Final = "jid"
QUEUE: Final = "queue"
CREATED_AT: Final = "created_at"
ENQUEUED_AT: Final = "enqueued_at"
AT: Final = "at"  # due time, within a client only
TAGS: Final = "tags"
WRAPPED: Final = "wrapped"  # ActiveJob's class
DISPLAY_CLASS: Final = "display_class"

RETRY: Final = "retry"
RETRY_COUNT: Final = "retry_count"
RETRY_FOR: Final = "retry_for"
RETRY_QUEUE: Final = "retry_queue"
DEAD: Final = "dead"
BACKTRACE: Final = "backtrace"
ERROR_CLASS: Final = "error_class"
ERROR_MESSAGE: Final = "error_message"
ERROR_BACKTRACE: Final = "error_backtrace"
FAILED_AT: Final = "failed_at"
RETRIED_AT: Final = "retried_at"

EXPIRES_IN: Final = "expires_in"  # Pro's, and ours
EXPIRY: Final = "expiry"  # Pro's, and ours
UNIQUE_FOR: Final = "unique_for"  # Enterprise's, and ours

BATCH: Final = "kiq_batch"  # ours, as all below: id of a batch
KEYWORDS: Final = "kiq_keywords"  # object: arguments that have no place among ``args``, by name
NEXT: Final = "kiq_next"  # list of payloads: what follows, one after another, once it has succeeded
CONTEXT: Final = "kiq_context"  # object: what travels with the job, by name
LOCK: Final = "kiq_lock"  # fingerprint of class, queue and arguments, where it must be unique
RECOVERED: Final = "recovered"  # how many processes died of late while they held it
RECOVERED_AT: Final = "recovered_at"  # when, in epoch seconds: what is long ago does not count
STARTED: Final = "kiq_started"  # identity of the process that began a job that may run at most once
AT_MOST_ONCE: Final = "at_most_once"  # true: what a killed process held does not run again
