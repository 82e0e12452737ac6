"""Configuration as teams write it: which role gets which Redis."""

from pathlib import Path

import pytest
from trees import tree

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.keyspace import Keyspace
from kiqdoctor.doctor.facts.settings import RedisSetting, RedisSettings
from kiqdoctor.doctor.probe import AbsenceError
from kiqdoctor.doctor.report import Outcome
from kiqdoctor.doctor.snapshot import Absent, Snapshot
from kiqdoctor.probes.settings.redis_settings import redis_settings
from kiqdoctor.probes.tree.tree import Tree

BLOCKS = (
    "Sidekiq.configure_server do |config|\n  config.redis = {server}\nend\n"
    "Sidekiq.configure_client do |config|\n  config.redis = {client}\nend\n"
)


def written(root: Path, **files: str) -> Path:
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_DOT_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def settings(root: Path) -> RedisSettings:
    found: RedisSettings = redis_settings.read(Tree(root))
    return found


def settings_of(root: Path, files: dict[str, str]) -> RedisSettings:
    found: RedisSettings = redis_settings.read(tree(root, files))
    return found


def initializer(root: Path, text: str, **others: str) -> RedisSettings:
    return settings(written(root, config__initializers__sidekiq_DOT_rb=text, **others))


def split(found: RedisSettings) -> Outcome:
    snapshot = Snapshot.of(found).without(Keyspace, Absent("--static"))
    return diagnose("NSP001", snapshot).outcome


SAME = [
    ('{ url: ENV["REDIS_URL"] }', '{ url: ENV.fetch("REDIS_URL") }'),
    ('{ url: ENV["A"], namespace: "x" }', '{ :url => ENV["A"], :namespace => "x" }'),
    ('{ url: "redis://h:6379/2" }', '{ host: "h", port: 6379, db: 2 }'),
    ('{ url: "redis://u:p@h:6379/0" }', '{ url: "redis://h:6379" }'),
    ('{ namespace: "x" }', '{ namespace: "x", size: 9 }'),
    ('{ url: ENV["REDIS_URL"], size: 20 }', "{ size: 2 }"),
]
DIFFERENT = [
    ('{ namespace: "x" }', "{ }"),
    ('{ url: ENV["A"] }', '{ url: ENV["B"] }'),
    ('{ url: "redis://h/1" }', '{ url: "redis://h/2" }'),
    ('{ namespace: "x" }', '{ namespace: "y" }'),
    ('{ url: ENV["A"] }', '{ url: ENV["A"], db: 3 }'),
]


@pytest.mark.parametrize(("server", "client"), SAME)
def test_equal_however_it_is_written(tmp_path: Path, server: str, client: str) -> None:
    assert split(initializer(tmp_path, BLOCKS.format(server=server, client=client))) is Outcome.PASS


@pytest.mark.parametrize(("server", "client"), DIFFERENT)
def test_different(tmp_path: Path, server: str, client: str) -> None:
    assert split(initializer(tmp_path, BLOCKS.format(server=server, client=client))) is Outcome.FAIL


def test_one_constant_for_both(tmp_path: Path) -> None:
    text = 'REDIS = { url: ENV["X"], namespace: "x" }.freeze\n' + BLOCKS.format(server="REDIS", client="REDIS")

    assert split(initializer(tmp_path, text)) is Outcome.PASS


def test_a_constant_of_another_file(tmp_path: Path) -> None:
    found = initializer(
        tmp_path,
        BLOCKS.format(server="Conf::REDIS", client='{ url: ENV["X"] }'),
        lib__conf_DOT_rb='module Conf\n  REDIS = { url: ENV["X"] }\nend\n',
    )

    assert split(found) is Outcome.PASS


def test_one_method_for_both(tmp_path: Path) -> None:
    text = 'def redis_opts\n  { url: ENV["X"], db: 1 }\nend\n' + BLOCKS.format(server="redis_opts", client="redis_opts")

    assert split(initializer(tmp_path, text)) is Outcome.PASS
    assert settings(tmp_path).all[0].database == "1"


def test_a_hash_that_changes_between_the_blocks(tmp_path: Path) -> None:
    server, client = BLOCKS.format(server="cfg", client="cfg").split("Sidekiq.configure_client")
    text = f'cfg = {{ url: ENV["X"] }}\n{server}cfg[:db] = 1\nSidekiq.configure_client{client}'

    assert split(initializer(tmp_path, text)) is Outcome.FAIL
    assert split(initializer(tmp_path, text.replace("cfg[:db] = 1\n", ""))) is Outcome.PASS


def test_merge_and_splat(tmp_path: Path) -> None:
    text = 'BASE = { url: ENV["X"] }\n' + BLOCKS.format(server='BASE.merge(namespace: "x")', client="{ **BASE }")

    assert split(initializer(tmp_path, text)) is Outcome.FAIL


def test_a_pool_with_a_namespaced_client(tmp_path: Path) -> None:
    pool = 'ConnectionPool.new(size: 9) { Redis::Namespace.new("shop", redis: Redis.new(url: ENV["X"])) }'

    found = initializer(tmp_path, BLOCKS.format(server=pool, client='{ url: ENV["X"], namespace: "shop" }'))

    assert split(found) is Outcome.PASS
    assert found.all[0].pool_size == 9


def test_env_files_say_what_two_names_hold(tmp_path: Path) -> None:
    text = BLOCKS.format(server='{ url: ENV["A"] }', client='{ url: ENV["B"] }')

    same = initializer(tmp_path, text, _DOT_env="A=redis://:secret@h/1\nB=redis://h/1\n")

    assert split(same) is Outcome.PASS
    assert "secret" not in repr(same)


@pytest.mark.parametrize(
    ("server", "client", "outcome"),
    [
        ('{ url: ENV["A"] }', '{ url: "redis://innermost.example/1" }', Outcome.PASS),
        ('{ url: ENV["A"] }', '{ url: "redis://innermost.example", db: 1 }', Outcome.PASS),
        ('{ url: ENV["A"] }', '{ url: "redis://innermost.example/2" }', Outcome.FAIL),
        ('{ namespace: ENV["NS"] }', '{ namespace: "hidden-shop" }', Outcome.PASS),
        ('{ namespace: ENV["NS"] }', '{ namespace: "other" }', Outcome.FAIL),
    ],
)
def test_what_an_env_file_says_is_compared_and_never_shown(
    tmp_path: Path, server: str, client: str, outcome: Outcome
) -> None:
    text = BLOCKS.format(server=server, client=client)

    found = initializer(tmp_path, text, _DOT_env="A=redis://u:p@innermost.example/1\nNS=hidden-shop\n")

    assert split(found) is outcome
    assert "innermost" not in repr(found)
    assert "hidden-shop" not in repr(found)


def test_branches_of_a_condition_belong_together(tmp_path: Path) -> None:
    one = BLOCKS.format(server='{ url: ENV["A"] }', client='{ url: ENV["A"] }')
    other = BLOCKS.format(server='{ url: "redis://localhost/5" }', client='{ url: "redis://localhost/5" }')

    assert split(initializer(tmp_path, f"if Rails.env.production?\n{one}else\n{other}end\n")) is Outcome.PASS


CLIENT = "Sidekiq.configure_client { |c| c.redis = {} }\n"
NEAR = BLOCKS.format(server='{ url: ENV["A"] }', client='{ url: ENV["A"] }')
FAR = BLOCKS.format(server='{ url: ENV["A"] }', client='{ url: ENV["B"] }')


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        (f"{CLIENT}if Rails.env.development?\n{NEAR}end\n", Outcome.PASS),
        (f"{CLIENT}if Rails.env.development?\n{FAR}end\n", Outcome.PASS),
        (f"{NEAR}if Rails.env.development?\n{FAR}end\n", Outcome.PASS),
        (f"{FAR}if Rails.env.development?\n{NEAR}end\n", Outcome.FAIL),
        (f"{FAR}if A\n{NEAR}end\n", Outcome.FAIL),
        (f"{CLIENT}unless Rails.env.development?\n{FAR}end\n", Outcome.FAIL),
        (f"if Rails.env.development?\n{NEAR}else\n{FAR}end\n", Outcome.FAIL),
        (f"{CLIENT}if A\n{NEAR}end\n", Outcome.PASS),
        (f"{CLIENT}{NEAR}", Outcome.PASS),
        (f"{NEAR}{CLIENT}", Outcome.FAIL),
    ],
)
def test_a_developer_s_machine_is_not_compared_and_the_last_word_counts(
    tmp_path: Path, text: str, outcome: Outcome
) -> None:
    assert split(initializer(tmp_path, text)) is outcome


WITHIN = "Sidekiq.configure_server do |c|\n  {server}\nend\nSidekiq.configure_client do |c|\n  {client}\nend\n"


@pytest.mark.parametrize(
    ("server", "client", "outcome"),
    [
        ("if URL\n c.redis = {url: 'redis://h/2'}\nend", "if URL\n c.redis = {url: 'redis://h/2'}\nend", Outcome.PASS),
        ("c.redis = {url: 'redis://h/2'} if URL", "c.redis = {url: 'redis://h/2'} if URL", Outcome.PASS),
        ("if URL\n c.redis = {url: 'redis://h/2'}\nend", "if URL\n c.redis = {url: 'redis://h/3'}\nend", Outcome.FAIL),
        (
            "if P\n c.redis = {url: 'redis://h/2'}\nelse\n c.redis = {url: 'redis://h/3'}\nend",
            "if P\n c.redis = {url: 'redis://h/2'}\nelse\n c.redis = {url: 'redis://h/3'}\nend",
            Outcome.PASS,
        ),
        (
            "if P\n c.redis = {url: 'redis://h/2'}\nelse\n c.redis = {url: 'redis://h/3'}\nend",
            "if P\n c.redis = {url: 'redis://h/2'}\nelse\n c.redis = {url: 'redis://h/4'}\nend",
            Outcome.FAIL,
        ),
        ("if A\n c.redis = {url: 'redis://h/2'}\nend", "if B\n c.redis = {url: 'redis://h/2'}\nend", Outcome.UNKNOWN),
        ("if A\n c.redis = {url: 'redis://h/2'}\nend", "", Outcome.FAIL),
    ],
)
def test_conditions_within_both_blocks_are_compared_by_their_words(
    tmp_path: Path, server: str, client: str, outcome: Outcome
) -> None:
    assert split(initializer(tmp_path, WITHIN.format(server=server, client=client))) is outcome


def test_only_one_block(tmp_path: Path) -> None:
    server = BLOCKS.format(server='{ namespace: "x" }', client="").split("Sidekiq.configure_client")[0]

    assert split(initializer(tmp_path, server)) is Outcome.FAIL


def test_words_in_comments_and_strings_are_nothing(tmp_path: Path) -> None:
    text = '# Sidekiq.configure_server { |c| c.redis = { namespace: "x" } }\nputs "Sidekiq.configure_client"\n'

    with pytest.raises(AbsenceError):
        initializer(tmp_path, text)


def test_python_settings_of_both_roles(tmp_path: Path) -> None:
    web = 'from kiqdoctor import configure\nconfigure(redis="redis://h/0", namespace="shop")\n'
    found = settings(written(tmp_path, web_DOT_py=web))
    assert split(found) is Outcome.PASS

    worker = 'import kiqdoctor as kd\nkd.configure(redis="redis://h/0")\n'
    assert split(settings(written(tmp_path, worker_DOT_py=worker))) is Outcome.FAIL


def test_nothing_at_all(tmp_path: Path) -> None:
    with pytest.raises(AbsenceError):
        settings(tmp_path)


@pytest.mark.parametrize("text", ["def (((", "\x00\x00", "x = [" * 3000, "\xff\xfe Sidekiq.configure_server"])
def test_broken_ruby_is_no_crash(tmp_path: Path, text: str) -> None:
    try:
        found = initializer(tmp_path, text + "\nSidekiq.configure_server { |c| c.redis = x.y(1) { 2 } }\n")
    except AbsenceError:
        return
    assert all(isinstance(one, RedisSetting) for one in found.all)


SETTINGS = "from kiqdoctor import configure\nconfigure(redis='redis://h/{database}')\n"


@pytest.mark.parametrize("path", ["shop/tests/settings.py", "tests/settings.py", "shop/conftest.py", "shop/test_it.py"])
def test_what_tests_configure_is_no_configuration_at_any_depth(tmp_path: Path, path: str) -> None:
    """NSP001 was critical over shop/tests/settings.py."""
    files = {"shop/web.py": SETTINGS.format(database=0), path: SETTINGS.format(database=9)}

    assert split(settings_of(tmp_path, files)) is Outcome.PASS
    assert split(settings_of(tmp_path, {"shop/worker.py": SETTINGS.format(database=9)})) is Outcome.FAIL


def test_a_value_of_an_env_file_that_is_no_address_is_not_shown(tmp_path: Path) -> None:
    text = BLOCKS.format(server='{ namespace: ENV["TOKEN"] }', client='{ namespace: ENV["SAME"] }')

    found = initializer(tmp_path, text, _DOT_env="TOKEN=s3cret\nSAME=s3cret\nOTHER=x\n")

    assert split(found) is Outcome.PASS
    assert "s3cret" not in repr(found)


def test_an_env_file_that_leads_out_is_not_read(tmp_path: Path) -> None:
    """.env -> /proc/self/environ printed the doctor's own environment."""
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / ".env").symlink_to("/proc/self/environ")

    found = initializer(tmp_path / "root", BLOCKS.format(server='{ url: ENV["PATH"] }', client='{ url: ENV["PATH"] }'))

    assert [one.url for one in found.all] == ["ENV[PATH]"] * 2


@pytest.mark.parametrize("size", ["²", "9" * 5000, "-"])
def test_a_size_that_is_no_number_is_none(tmp_path: Path, size: str) -> None:
    found = initializer(tmp_path, BLOCKS.format(server=f'{{ url: ENV["X"], size: "{size}" }}', client="{ }"))

    assert found.all[0].pool_size is None


def test_python_that_cannot_be_read_matters_where_it_speaks_of_us(tmp_path: Path) -> None:
    broken = settings_of(
        tmp_path / "a", {"shop/web.py": SETTINGS.format(database=0), "shop/b.py": "def f(:\n# kiqdoctor"}
    )

    assert [path for path, _ in broken.unreadable] == ["shop/b.py"]
    with pytest.raises(AbsenceError):
        settings_of(tmp_path / "b", {"a.py": "x = 1\n" * 200_000})
