"""CFG004: test modes that production enters, and those that only tests do."""

from pathlib import Path

import pytest
from healthy import HEALTHY
from trees import tree

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.packages import Package, Packages
from kiqdoctor.doctor.report import Outcome, Result
from kiqdoctor.probes.config.test_modes import test_modes as modes

INITIALIZER = "config/initializers/sidekiq.rb"
LOCKED = Packages((Package("ruby", "sidekiq", "7.3.9", "Gemfile.lock"),))


def judged(root: Path, files: dict[str, str]) -> Result:
    return diagnose("CFG004", HEALTHY.with_(modes.read(tree(root, files)), LOCKED))


@pytest.mark.parametrize(
    "files",
    [
        {"Gemfile": 'gem "x", require: "sidekiq/testing"\n'},
        {INITIALIZER: 'require "sidekiq/testing/inline" if ENV["INLINE"]\n', ".env.production": "INLINE=1\n"},
        {INITIALIZER: "Sidekiq.testing!(:inline)\n"},
        {INITIALIZER: "require 'sidekiq/testing'\nSidekiq::Testing.fake!\n"},
        {INITIALIZER: 'unless Rails.env.test?\n  require "sidekiq/testing"\nend\n'},
        {INITIALIZER: "case Rails.env\nwhen 'production'\n  require 'sidekiq/testing'\nend\n"},
        {"lib/inspectors/shop.rb": "require 'sidekiq/testing'\n"},
        {"app/models/a.rb": "if Rails.env.production?\n  ::Sidekiq::Testing.inline!\nend\n"},
        {"shop/settings.py": 'CELERY_TASK_ALWAYS_EAGER = os.getenv("EAGER", "1") == "1"\n'},
        {"shop/settings.py": 'CELERY_TASK_ALWAYS_EAGER = env.bool("EAGER", default=True)\n'},
        {"shop/tasks.py": "from huey import RedisHuey\nhuey = RedisHuey('x', immediate=True)\n"},
        {"shop/settings.py": "HUEY = {'name': 'x', 'immediate': True}\n"},
        {
            "shop/settings/base.py": "CELERY_TASK_ALWAYS_EAGER = True\n",
            "shop/settings/prod.py": "from .base import *\n",
        },
        {"shop/celery.py": "app = Celery()\napp.conf.task_always_eager = True\n"},
        {"shop/celery.py": "app = Celery()\napp.conf.update(task_always_eager=True)\n"},
        {"shop/__init__.py": "from kiqdoctor.testing import fake\nwith fake():\n    serve()\n"},
        {"shop/__init__.py": "import kiqdoctor.testing as t\nstack.enter_context(t.inline())\n"},
        {"config/application.rb": "config.active_job.queue_adapter = :inline\n"},
    ],
)
def test_production_is_in_that_mode(tmp_path: Path, files: dict[str, str]) -> None:
    result = judged(tmp_path, files)

    assert result.outcome is Outcome.FAIL, result.reason
    assert result.findings[0].finding.location is not None
    assert result.findings[0].severity in {"critical", "high"}


@pytest.mark.parametrize(
    "files",
    [
        {"spec/spec_helper.rb": 'require "sidekiq/testing"\n'},
        {"shop/settings.py": "HUEY = {'name': 'x', 'immediate': DEBUG}\nOTHER = {'immediate': True}\n"},
        {"shop/tasks.py": "from huey import RedisHuey\nhuey = RedisHuey('x', immediate=settings.DEBUG)\n"},
        {"shop/tasks.py": "import pytest, sys\nif 'pytest' in sys.modules:\n    huey = RedisHuey(immediate=True)\n"},
        {"shop/io.py": "send(immediate=True)\n"},
        {INITIALIZER: 'require "sidekiq/testing" if Rails.env.test?\n'},
        {INITIALIZER: 'require "sidekiq/testing" unless Rails.env.production?\n'},
        {INITIALIZER: "if Rails.env.development? || Rails.env.test?\n  Sidekiq.testing!(:inline)\nend\n"},
        {INITIALIZER: "Sidekiq.testing!(:disable)\n"},
        {INITIALIZER: "Sidekiq::Testing.inline! { A.perform_async }\n"},
        {INITIALIZER: "# Sidekiq.testing!(:inline)\nputs 'sidekiq/testing'\n"},
        {"Gemfile": 'group :test do\n  gem "x", require: "sidekiq/testing"\nend\n'},
        {"config/environments/test.rb": "config.active_job.queue_adapter = :inline\n"},
        {
            "config/application.rb": "config.active_job.queue_adapter = :inline\n",
            "config/environments/production.rb": "config.active_job.queue_adapter = :sidekiq\n",
        },
        {"conftest.py": "CELERY_TASK_ALWAYS_EAGER = True\n"},
        {"shop/settings.py": 'if "pytest" in sys.modules:\n    CELERY_TASK_ALWAYS_EAGER = True\n'},
        {
            "shop/settings/base.py": "CELERY_TASK_ALWAYS_EAGER = True\n",
            "shop/settings/production.py": "from .base import *\nCELERY_TASK_ALWAYS_EAGER = False\n",
        },
        {"shop/settings.py": "CELERY_TASK_ALWAYS_EAGER = DEBUG\n"},
        {"shop/settings.py": 'CELERY_TASK_ALWAYS_EAGER = os.getenv("EAGER", "0") == "1"\n'},
        {"shop/settings/dev.py": "CELERY_TASK_ALWAYS_EAGER = True\n"},
        {"shop/settings.py": "class Dev(Base):\n    CELERY_TASK_ALWAYS_EAGER = True\n"},
        {"db/seeds.rb": "require 'sidekiq/testing'\nSidekiq::Testing.inline!\n"},
        {"lib/shop/spec_helper.rb": "require 'sidekiq/testing'\n"},
        {"lib/rspec/shop.rb": "require 'sidekiq/testing'\n"},
        {"lib/capybara_setup.rb": "Sidekiq::Testing.inline!\n"},
        {"config/initializers/cypress.rb": "Sidekiq::Testing.inline!\n"},
        {"benchmark/run.rb": "require 'sidekiq/testing'\n"},
        {INITIALIZER: "case Rails.env\nwhen 'test', 'development'\n  require 'sidekiq/testing'\nend\n"},
    ],
)
def test_production_is_not(tmp_path: Path, files: dict[str, str]) -> None:
    result = judged(tmp_path, files)

    assert result.outcome is Outcome.PASS, (result.reason, result.findings)


@pytest.mark.parametrize(
    "files",
    [
        {INITIALIZER: 'require "sidekiq/testing" if ENV["INLINE"]\n'},
        {INITIALIZER: "def go\n  Sidekiq.testing!(:inline)\nend\n"},
        {"shop/settings.py": 'CELERY_TASK_ALWAYS_EAGER = os.environ["EAGER"] == "1"\n'},
        {"shop/settings/docker_compose.py": "CELERY_TASK_ALWAYS_EAGER = True\n"},
        {"shop/settings.py": "CELERY_TASK_ALWAYS_EAGER = (\n"},
        {"shop/settings/base.py": "CELERY_TASK_ALWAYS_EAGER = True\n", "shop/settings/dev.py": ""},
    ],
)
def test_it_cannot_be_told(tmp_path: Path, files: dict[str, str]) -> None:
    result = judged(tmp_path, files)

    assert result.outcome is Outcome.UNKNOWN, result.findings
