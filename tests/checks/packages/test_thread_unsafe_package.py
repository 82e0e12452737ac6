"""PKG001: the table's conditions on whole applications, through the probes."""

from pathlib import Path

import pytest
from healthy import HEALTHY
from source import application, looked

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.code import Code
from kiqdoctor.doctor.facts.packages import Package, Packages
from kiqdoctor.doctor.pack import home
from kiqdoctor.doctor.probe import AbsenceError
from kiqdoctor.doctor.report import Outcome, Result
from kiqdoctor.doctor.snapshot import Absent, Refused
from kiqdoctor.doctor.tools import Application, Pack
from kiqdoctor.probes.packages.packages import advisories, packages

TABLE = HEALTHY.with_(advisories.read(Pack(home())))
JOB = "from kiqdoctor import job\nimport {imports}\n{top}\n@job\ndef f():\n    {body}\n"
RUBY = "class J\n  include Sidekiq::Job\n  def perform(x)\n    {body}\n  end\nend\n"


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)


def examined(root: Path, **written: str) -> Result:
    tree = application(root, **written)
    snapshot = looked(tree, TABLE)
    try:
        snapshot = snapshot.with_(packages.read(Application(root), tree))
    except AbsenceError as error:
        snapshot = snapshot.without(Packages, Absent(str(error)))
    return diagnose("PKG001", snapshot)


def python(root: Path, requirement: str, imports: str, body: str, top: str = "") -> Result:
    return examined(root, requirements_DOT_txt=requirement, jobs_DOT_py=JOB.format(imports=imports, body=body, top=top))


def ruby(root: Path, gem: str, body: str = "nil", **written: str) -> Result:
    lock = f"GEM\n  specs:\n    {gem}\n    sidekiq (6.5.12)\n\nDEPENDENCIES\n  sidekiq\n"
    return examined(root, Gemfile_DOT_lock=lock, job_DOT_rb=RUBY.format(body=body), **written)


FAULTS = [
    ("netCDF4==1.7.2", "netCDF4", "netCDF4.Dataset('x')", "", "P34", "critical"),
    ("netCDF4==1.7.2", "netCDF4", "D.variables['t']", "D = netCDF4.Dataset('x')", "P34", "critical"),
    ("boto==2.49.0", "boto", "boto.connect_s3()", "", "P12", "medium"),
    ("a==1", "sqlite3", "c.execute('x')", "c = sqlite3.connect('x')", "P08", "high"),
    ("psycopg2-binary==2.9.9", "psycopg2", "c.cursor()", "c = psycopg2.connect('')", "P01", "high"),
    ("matplotlib==3.9", "matplotlib.pyplot as plt", "plt.figure()", "", "P38", "high"),
    ("stripe==9.0", "stripe", "stripe.api_key = 'x'", "", "P61", "high"),
    ("a==1", "os", "os.environ['A'] = 'x'", "", "P62", "high"),
    ("a==1", "subprocess", "subprocess.run('x', preexec_fn=print)", "", "P67", "high"),
    ("boto3==1.34", "boto3", "boto3.client('s3')", "", "P11", "high"),
    ("pymupdf==1.24", "fitz", "fitz.open('x')", "", "P35", "high"),
    ("sqlalchemy==2.0", "sqlalchemy", "pass", "e = sqlalchemy.create_engine('sqlite://')", "P20", "low"),
    ("gevent==24.2", "ssl, gevent.monkey", "pass", "gevent.monkey.patch_all()", "P54", "high"),
    ("a==1", "multiprocessing", "multiprocessing.Pool(2)", "", "P66", "high"),
]
TWINS = [
    ("netCDF4==1.6.0", "netCDF4", "netCDF4.Dataset('x')", ""),
    ("netCDF4==1.7.2", "netCDF4", "pass", "def g(): netCDF4.Dataset('x')"),
    ("a==1", "sqlite3", "sqlite3.connect('x').execute('x')", ""),
    ("psycopg2-binary==2.9.9", "psycopg2", "psycopg2.connect('').cursor()", ""),
    ("matplotlib==3.9", "matplotlib.figure", "matplotlib.figure.Figure()", ""),
    ("stripe==9.0", "stripe", "stripe.Charge.create(api_key='x')", ""),
    ("a==1", "os", "os.environ['A']", ""),
    ("a==1", "subprocess", "subprocess.run('x', start_new_session=True)", ""),
    ("boto3==1.34", "boto3", "s3.put_object()", "s3 = boto3.client('s3')"),
    ("sqlalchemy==2.0", "sqlalchemy", "pass", "e = sqlalchemy.create_engine('postgresql://h/d')"),
    ("gevent==24.2", "gevent.monkey", "pass", "gevent.monkey.patch_all()\nimport ssl"),
    ("a==1", "multiprocessing", "multiprocessing.Pool(2)", "multiprocessing.set_start_method('spawn')"),
]


@pytest.mark.parametrize(("requirement", "imports", "body", "top", "row", "severity"), FAULTS)
def test_python_faults(
    tmp_path: Path, requirement: str, imports: str, body: str, top: str, row: str, severity: str
) -> None:
    found = {one.finding.key: one for one in python(tmp_path, requirement, imports, body, top).findings}

    assert found[row].severity == severity
    location = found[row].finding.location
    assert location is not None
    assert location.path == "jobs.py"


@pytest.mark.parametrize(("requirement", "imports", "body", "top"), TWINS)
def test_python_twins(tmp_path: Path, requirement: str, imports: str, body: str, top: str) -> None:
    result = python(tmp_path, requirement, imports, body, top)

    assert [one for one in result.findings if one.severity != "info"] == []


@pytest.mark.parametrize(
    ("gem", "body", "row", "severity"),
    [
        ("therubyracer (0.12.3)", "V8::Context.new", "R07", "critical"),
        ("therubyracer (0.12.3)", "nil", "R07", "info"),
        ("aws-s3 (0.6.3)", "AWS::S3::Base.go", "R03", "high"),
        ("aws-s3 (0.6.3)", "nil", "R03", "info"),
        ("cocaine (0.5.8)", "Cocaine::CommandLine.new('x')", "R11", "high"),
        ("cocaine (0.5.8)", "nil", "R11", "info"),
        ("rmagick (4.2.0)", "Magick::Image.read(x)", "R06", "high"),
        ("aws-sdk (1.67.0)", "AWS::S3.new", "R02", "high"),
        ("aws-sdk (1.67.0)", "nil", "R02", "info"),
        ("activeresource (4.0.0)", "ActiveResource::Base.site = x", "R09", "high"),
        ("scout_apm (5.1.0)", "nil", "R15", "high"),
        ("basecamp (0.1)", "nil", "R04", "info"),
        ("redis (3.3.0)", "nil", "R13", "medium"),
        ("sidekiq (6.5.12)", "Sidekiq::Extensions.enable_delay!", "R27", "high"),
        ("oj (3.16.0)", "Sidekiq.logger.formatter = Sidekiq::Logger::Formatters::JSON.new", "R23", "medium"),
    ],
)
def test_ruby_faults(tmp_path: Path, gem: str, body: str, row: str, severity: str) -> None:
    found = {one.finding.key: one.severity for one in ruby(tmp_path, gem, body).findings}

    assert found[row] == severity


@pytest.mark.parametrize(
    ("gem", "body"),
    [
        ("mini_racer (0.9.0)", "nil"),
        ("rmagick (4.2.0)", "nil"),
        ("aws-sdk (3.1.0)", "nil"),
        ("activeresource (6.0.0)", "ActiveResource::Base.site = x"),
        ("scout_apm (5.3.0)", "nil"),
        ("redis (4.8.1)", "nil"),
    ],
)
def test_ruby_twins(tmp_path: Path, gem: str, body: str) -> None:
    assert ruby(tmp_path, gem, body).outcome is Outcome.PASS


def test_an_eager_autoload_settles_it(tmp_path: Path) -> None:
    eager = ruby(tmp_path, "aws-sdk (1.67.0)", "AWS::S3.new", config__initializers__aws_DOT_rb="AWS.eager_autoload!\n")

    assert eager.outcome is Outcome.PASS


FORKED = {
    "P03": ("psycopg2==2.9.9", {"db_DOT_py": "import psycopg2\nconn = psycopg2.connect('')\n"}),
    "P57": ("gunicorn==22.0", {"db_DOT_py": "import redis\nr = redis.Redis()\nr.ping()\n"}),
    "P19": ("sqlalchemy==2.0", {"db_DOT_py": "import sqlalchemy\ne = sqlalchemy.create_engine(U)\ne.connect()\n"}),
    "P22": ("grpcio==1.60", {"db_DOT_py": "import grpc\nc = grpc.insecure_channel('h')\n"}),
}
LAZY = {
    "P03": ("psycopg==3.2", {"db_DOT_py": "import psycopg\ndef f(): return psycopg.connect('')\n"}),
    "P57": ("gunicorn==22.0", {"db_DOT_py": "import redis\nr = redis.Redis()\n"}),
    "P19": ("sqlalchemy==2.0", {"db_DOT_py": "import sqlalchemy\ne = sqlalchemy.create_engine(U)\n"}),
    "P22": ("grpcio==1.60", {"db_DOT_py": "import grpc\ndef f(): grpc.insecure_channel('h')\n"}),
}


@pytest.mark.parametrize("row", FORKED)
def test_what_a_preloading_server_s_children_inherit(tmp_path: Path, row: str) -> None:
    requirement, written = FORKED[row]
    lock, preload = {"requirements_DOT_txt": requirement}, {"gunicorn_DOT_conf_DOT_py": "preload_app = True\n"}
    preloads = examined(tmp_path / "a", **lock, **written, **preload, Procfile="web: gunicorn shop\n")
    loads_late = examined(tmp_path / "b", **lock, **written, Procfile="web: gunicorn shop\n")

    assert row in [one.finding.key for one in preloads.findings if one.severity != "info"]
    assert row not in [one.finding.key for one in loads_late.findings]


@pytest.mark.parametrize("row", LAZY)
def test_what_connects_later_is_not_inherited(tmp_path: Path, row: str) -> None:
    requirement, written = LAZY[row]
    preload = {"gunicorn_DOT_conf_DOT_py": "preload_app = True\n", "Procfile": "web: gunicorn shop\n"}
    result = examined(tmp_path, requirements_DOT_txt=requirement, **written, **preload)

    assert [one.severity for one in result.findings if one.severity != "info"] == []


ANEW = {
    "P03": "def post_fork(server, worker):\n    import db, psycopg2\n    db.conn = psycopg2.connect('')\n",
    "P57": "def post_fork(server, worker):\n    from db import r\n    r.connection_pool.disconnect()\n",
    "P19": "def post_fork(server, worker):\n    from db import e\n    e.dispose(close=False)\n",
}


@pytest.mark.parametrize("row", ANEW)
def test_what_a_child_lets_go_of_after_its_fork_is_not_shared(tmp_path: Path, row: str) -> None:
    requirement, written = FORKED[row]
    lock, web = {"requirements_DOT_txt": requirement}, {"Procfile": "web: gunicorn shop\n"}
    conf = f"preload_app = True\n{ANEW[row]}"
    mended = examined(tmp_path, **lock, **written, **web, gunicorn_DOT_conf_DOT_py=conf)

    assert [one.finding.key for one in mended.findings if one.severity != "info"] == []


def test_an_engine_without_a_pool_hands_nothing_on(tmp_path: Path) -> None:
    source = (
        "import sqlalchemy\nfrom sqlalchemy.pool import NullPool\n"
        "e = sqlalchemy.create_engine(U, poolclass=NullPool)\ne.connect()\n"
    )
    preload = {"gunicorn_DOT_conf_DOT_py": "preload_app = True\n", "Procfile": "web: gunicorn shop\n"}
    result = examined(tmp_path, requirements_DOT_txt="sqlalchemy==2.0", db_DOT_py=source, **preload)

    assert [one.severity for one in result.findings if one.severity != "info"] == []


@pytest.mark.parametrize(("body", "found"), [("M.predict(1)", ["P44"]), ("print(1)", [])])
def test_a_model_that_is_loaded_before_the_fork(tmp_path: Path, body: str, found: list[str]) -> None:
    source = (
        f"import tensorflow as tf\nfrom celery import shared_task\nM = tf.keras.models.load_model('m')\n"
        f"@shared_task\ndef f():\n    {body}\n"
    )
    asked = "celery==5.4.0\ntensorflow==2.16.1\n"
    result = examined(tmp_path, requirements_DOT_txt=asked, jobs_DOT_py=source, Procfile="w: celery -A jobs worker\n")

    assert [one.finding.key for one in result.findings if one.severity != "info"] == found


OF_THREADS = [one for one in FAULTS if one[4] != "P54"]


def run_by(root: Path, fault: tuple[str, ...], command: str) -> Result:
    """The same job as Celery's, whose worker is started with these options; "": no file says how."""
    requirement, imports, body, top = fault[:4]
    text = JOB.format(imports=imports, body=body, top=top).replace(
        "kiqdoctor import job", "celery import shared_task as job"
    )
    written = {"Procfile": f"worker: celery -A jobs worker {command}\n"} if command else {}
    return examined(root, requirements_DOT_txt=requirement, jobs_DOT_py=text, **written)


@pytest.mark.parametrize("fault", OF_THREADS, ids=lambda one: one[4])
def test_rows_about_threads_ask_how_jobs_run(tmp_path: Path, fault: tuple[str, ...]) -> None:
    commands = {"": "", "-P threads": fault[5], "-P solo": "", "-P gevent": fault[5]}
    found = {
        command: {one.finding.key: one.severity for one in run_by(tmp_path / str(number), fault, command).findings}
        for number, command in enumerate(commands)
    }

    assert {command: rows.get(fault[4], "") for command, rows in found.items()} == commands


@pytest.mark.parametrize("fault", OF_THREADS, ids=lambda one: one[4])
def test_where_nobody_knows_how_jobs_run_it_is_information(tmp_path: Path, fault: tuple[str, ...]) -> None:
    found = {one.finding.key: one.severity for one in run_by(tmp_path, fault, "-P elsewhere.Pool").findings}

    assert found[fault[4]] == "info"


def test_the_evidence_says_how_the_job_runs(tmp_path: Path) -> None:
    [finding] = run_by(tmp_path, OF_THREADS[0], "-P threads").findings

    told = {one.label: (one.value, one.source) for one in finding.finding.evidence}
    assert told["runs in"] == ("celery: threads (celery with threads)", "Procfile:1")


HUEY = (
    "from huey.contrib import djhuey as huey\nfrom django.db import models\nclass Mark(models.Model): pass\n"
    "@huey.{task}()\ndef f(): Mark.objects.get(pk=1)\n"
)


@pytest.mark.parametrize(
    ("task", "lock", "command", "found"),
    [
        ("task", "django==5.2\n", "manage.py run_huey", ["P72"]),
        ("db_task", "django==5.2\n", "manage.py run_huey", []),
        ("task", "django==5.2\n", "manage.py run_huey -k process", []),
    ],
)
def test_django_s_connections_in_worker_threads(
    tmp_path: Path, task: str, lock: str, command: str, found: list[str]
) -> None:
    text = HUEY.replace("{task}", task)
    result = examined(tmp_path, requirements_DOT_txt=lock, jobs_DOT_py=text, Procfile=f"worker: {command}\n")

    assert [one.finding.key for one in result.findings] == found


SEVEN = "GEM\n  specs:\n    {0}\n    sidekiq (7.3.0)\n\nDEPENDENCIES\n  sidekiq\n"
SIDEKIQ = "Sidekiq.configure_server do |config|\n  config.redis = {{ url: 'redis://h', {0} }}\nend\n"


@pytest.mark.parametrize(("option", "found"), [("namespace: 'shop'", ["R16"]), ("size: 5", [])])
def test_a_namespace_is_one_that_sidekiq_is_configured_with(tmp_path: Path, option: str, found: list[str]) -> None:
    result = examined(
        tmp_path,
        Gemfile_DOT_lock=SEVEN.format("redis-namespace (1.11.0)"),
        config__initializers__sidekiq_DOT_rb=SIDEKIQ.format(option),
        other_DOT_rb="Client.new(namespace: 'kube')\n",
    )

    assert [one.finding.key for one in result.findings] == found


@pytest.mark.parametrize(("preload", "found"), [("preload_app!\n", ["R19"]), ("", [])])
def test_limits_that_are_set_before_a_fork(tmp_path: Path, preload: str, found: list[str]) -> None:
    result = examined(
        tmp_path,
        Gemfile_DOT_lock=SEVEN.format("sidekiq-limit_fetch (4.4.0)"),
        config__puma_DOT_rb="workers 2\n" + preload,
        config__initializers__limits_DOT_rb="Sidekiq::Queue['q'].limit = 4\n",
    )

    assert [one.finding.key for one in result.findings] == found


def test_only_the_version_is_known(tmp_path: Path) -> None:
    [finding] = examined(tmp_path, requirements_DOT_txt="netCDF4==1.7.2\n").findings

    assert finding.severity == "info"
    assert "only the version is known" in finding.finding.title


def test_what_only_a_crash_would_show_is_no_finding_where_the_source_was_read(tmp_path: Path) -> None:
    result = ruby(tmp_path, "pg (1.5.4)")

    assert result.outcome is Outcome.PASS
    assert any(one.label == "advisory R05" for one in result.evidence)


def test_the_standard_library_s_modules_are_named(tmp_path: Path) -> None:
    [finding] = python(tmp_path, "a==1", "sqlite3", "c.execute('x')", "c = sqlite3.connect('x')").findings

    assert finding.finding.subject == "package:sqlite3"


def test_what_only_tests_install_is_evidence() -> None:
    dev = Packages((Package("ruby", "aws-s3", "0.6", "Gemfile.lock", groups=("test",)),))

    found = diagnose("PKG001", TABLE.with_(dev))

    assert found.outcome is Outcome.PASS
    assert any("aws-s3 is for test alone" in one.value for one in found.evidence)


def test_an_unreadable_lock_is_unknown() -> None:
    broken = Packages((), (("Gemfile.lock", "merge conflicts"),))

    assert diagnose("PKG001", TABLE.with_(broken)).outcome is Outcome.UNKNOWN
    assert diagnose("PKG001", TABLE.without(Packages, Refused("denied", "r"))).outcome is Outcome.UNKNOWN
    jobless = TABLE.with_(Code(files=1))
    assert diagnose("PKG001", jobless.without(Packages, Absent("no files"))).outcome is Outcome.NOT_APPLICABLE


def test_jobs_whose_packages_nobody_names_prove_nothing(tmp_path: Path) -> None:
    assert examined(tmp_path, jobs_DOT_py=JOB.format(imports="os", body="pass", top="")).outcome is Outcome.UNKNOWN


def test_an_environment_of_conda_names_them(tmp_path: Path) -> None:
    asked = "dependencies:\n  - netcdf4=1.6.5\n  - pip:\n    - dramatiq==1.17.0\n"
    source = JOB.format(imports="netCDF4", body="netCDF4.Dataset('x')", top="")

    [finding] = examined(tmp_path, environment_DOT_yml=asked, jobs_DOT_py=source).findings

    assert (finding.finding.key, str(finding.severity)) == ("P34", "critical")
