"""What the environment of whoever runs the tests tells the product and Ruby is taken away: a test says what it means.

A CI system, a platform, a shell that names a Redis: each would be obeyed by every process that a test starts.
"""

from collections.abc import MutableMapping
from typing import Final

PREFIX: Final = "KIQDOCTOR_"
OURS: Final = ("KIQDOCTOR_TEST_", "KIQDOCTOR_SNAPSHOTS", "KIQDOCTOR_REDIS_SERVER")  # said to the tests themselves
CI_SYSTEMS: Final = frozenset(
    {"GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "GITLAB_CI", "CIRCLECI", "JENKINS_URL", "TF_BUILD"}
)
REVISIONS: Final = frozenset(
    {
        *("HEROKU_SLUG_COMMIT", "HEROKU_BUILD_COMMIT", "K_REVISION", "GIT_REV", "SOURCE_VERSION", "RENDER_GIT_COMMIT"),
        *("RAILWAY_GIT_COMMIT_SHA", "KAMAL_VERSION", "FLY_IMAGE_REF", "GIT_COMMIT", "GIT_SHA", "GITHUB_SHA"),
        *("CI_COMMIT_SHA", "VERCEL_GIT_COMMIT_SHA", "REVISION", "COMMIT_SHA"),
    }
)
HEARD: Final = frozenset(
    {
        *("REDIS_URL", "REDIS_PROVIDER", "DYNO", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"),
        *("RAILS_ENV", "RACK_ENV", "APP_ENV", "RUBYOPT", "BUNDLE_GEMFILE", "SIDEKIQ_PRELOAD", "SIDEKIQ_COUNT"),
        *("DJANGO_SETTINGS_MODULE", "RUN_MAIN", "OTEL_SDK_DISABLED", "TEXTUAL_DRIVER", "TEXTUAL_ANIMATIONS"),
        *("NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLORTERM", "COLUMNS", "LINES"),
    }
)
NAMES: Final = CI_SYSTEMS | REVISIONS | HEARD


def leave(environ: MutableMapping[str, str]) -> None:
    """Whether they run in CI (``CI``) is the tests' own business, and stays."""
    for name in [*environ]:
        if name in NAMES or (name.startswith(PREFIX) and not name.startswith(OURS)):
            del environ[name]
