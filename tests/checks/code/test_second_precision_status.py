"""COD013: what a job updates, cached by whole seconds."""

from pathlib import Path

import pytest
from judging import accused, judged

PYTHON = {
    "models_DOT_py": (
        "from django.db import models\nclass Report(models.Model):\n"
        "    updated_at = models.DateTimeField(auto_now=True)\n"
    ),
    "tasks_DOT_py": (
        "from kiqdoctor import job\nfrom models import Report\n@job\ndef build(pk):\n"
        "    report = Report.objects.get(pk=pk)\n    report.status = 'done'\n    report.save()\n"
    ),
}
VIEW = (
    "from django.core.cache import cache\nfrom django.views.decorators.http import condition, last_modified, etag\n"
    "from models import Report\n"
    "def when(request, pk):\n    return Report.objects.get(pk=pk).updated_at\n"
    "{decorator}def status(request, pk):\n    o = Report.objects.get(pk=pk)\n    response = make(o)\n    {line}\n"
)
FAULTS = {
    "P1": ("", 'key = f"st:{o.pk}:{int(o.updated_at.timestamp())}"'),
    "handed to a cache": ("", 'cache.get("r-%s" % int(o.updated_at.timestamp()))'),
    "an ETag": ("", 'response["ETag"] = o.updated_at.strftime("%s")'),
    "P2": ("@condition(last_modified_func=lambda r, pk: Report.objects.get(pk=pk).updated_at)\n", "pass"),
    "P2, by a function": ("@last_modified(when)\n", "pass"),
    "a header": ("", 'response["Last-Modified"] = http_date(o.updated_at.timestamp())'),
}
TWINS = {
    "N1": ("", 'key = f"{o.pk}:{o.version}"'),
    "N2": ("", "etag = sha256(response.body)"),
    "N3": ("", 'return {"at": int(o.updated_at.timestamp())}'),
    "what a cache keeps": ("", 'cache.set(f"st:{o.pk}", {"at": int(o.updated_at.timestamp())})'),
    "what it makes": ("", 'cache.get_or_set("st", lambda: int(o.updated_at.timestamp()))'),
    "with its fraction": ("", 'key = f"st:{o.pk}:{o.updated_at.timestamp()}"'),
    "a version beside it": ("", 'key = f"{o.version}:{int(o.updated_at.timestamp())}"'),
    "an ETag of its own": ("@condition(etag_func=tag, last_modified_func=when)\n", "pass"),
}
RUBY = {
    "app__jobs__build_DOT_rb": (
        "class Build\n  include Sidekiq::Job\n  def perform(id)\n    r = Report.find(id)\n"
        "    r.update!(status: 'done')\n  end\nend\n"
    )
}
SHOW = "class Reports < ApplicationController\n  def show\n    @report = Report.find(params[:id])\n    {}\n  end\nend\n"
RUBY_FAULTS = {
    "P2": "stale?(last_modified: @report.updated_at)",
    "fresh_when": "fresh_when(last_modified: @report.updated_at, public: true)",
    "a key": 'Rails.cache.fetch("r/#{@report.updated_at.to_i}") { 1 }',
    "a key by name": 'key = "r/#{@report.updated_at.to_i}"',
}
RUBY_TWINS = {
    "what a cache keeps": 'Rails.cache.write("r/#{@report.id}", @report.updated_at.to_i)',
    "N2": "stale?(etag: [@report.lock_version])",
    "both": "stale?(etag: @report, last_modified: @report.updated_at)",
    "by the record": "fresh_when(@report)",
    "N3": "render json: { at: @report.updated_at.to_i }",
    "a version": 'Rails.cache.fetch("r/#{@report.lock_version}") { 1 }',
}


@pytest.mark.parametrize(("decorator", "line"), FAULTS.values(), ids=FAULTS)
def test_python_s_faults(tmp_path: Path, decorator: str, line: str) -> None:
    found = judged("COD013", tmp_path, **PYTHON, views_DOT_py=VIEW.format(decorator=decorator, line=line)).findings

    assert [one.severity for one in found] == ["medium"]


@pytest.mark.parametrize(("decorator", "line"), TWINS.values(), ids=TWINS)
def test_python_s_twins(tmp_path: Path, decorator: str, line: str) -> None:
    assert not accused(judged("COD013", tmp_path, **PYTHON, views_DOT_py=VIEW.format(decorator=decorator, line=line)))


@pytest.mark.parametrize(("given", "ill"), [("", True), ("fsp=6", False)])
def test_a_column_of_mysql(tmp_path: Path, given: str, ill: bool) -> None:
    model = (
        "from sqlalchemy import Column\nfrom sqlalchemy.dialects import mysql\nclass Report(Base):\n"
        f"    updated_at = Column(mysql.DATETIME({given}))\n"
    )
    view = "def status(r):\n    etag = f'{r.id}-{r.updated_at}'\n    return etag\n"
    files = {**PYTHON, "models_DOT_py": model, "views_DOT_py": view}

    assert accused(judged("COD013", tmp_path, **files)) is ill


def test_what_no_job_writes_may_be_cached_so(tmp_path: Path) -> None:
    reads = PYTHON["tasks_DOT_py"].replace("    report.save()\n", "").replace("    report.status = 'done'\n", "")
    view = VIEW.format(decorator="", line='key = f"{int(o.updated_at.timestamp())}"')

    assert not accused(judged("COD013", tmp_path, **{**PYTHON, "tasks_DOT_py": reads}, views_DOT_py=view))


@pytest.mark.parametrize("line", RUBY_FAULTS.values(), ids=RUBY_FAULTS)
def test_ruby_s_faults(tmp_path: Path, line: str) -> None:
    assert accused(judged("COD013", tmp_path, **RUBY, app__c_DOT_rb=SHOW.format(line)))


@pytest.mark.parametrize("line", RUBY_TWINS.values(), ids=RUBY_TWINS)
def test_ruby_s_twins(tmp_path: Path, line: str) -> None:
    assert not accused(judged("COD013", tmp_path, **RUBY, app__c_DOT_rb=SHOW.format(line)))


@pytest.mark.parametrize(("kind", "ill"), [(":number", True), (":usec", False)])
def test_rails_own_format(tmp_path: Path, kind: str, ill: bool) -> None:
    text = f"Rails.application.configure do\n  config.active_record.cache_timestamp_format = {kind}\nend\n"

    assert accused(judged("COD013", tmp_path, **RUBY, config__application_DOT_rb=text)) is ill


@pytest.mark.parametrize(("digits", "ill"), [(0, True), (6, False)])
def test_a_column_of_the_schema(tmp_path: Path, digits: int, ill: bool) -> None:
    schema = (
        "ActiveRecord::Schema[7.1].define(version: 1) do\n  create_table 'reports' do |t|\n"
        f"    t.datetime 'updated_at', precision: {digits}, null: false\n  end\nend\n"
    )
    page = SHOW.format("fresh_when(@report)")

    assert accused(judged("COD013", tmp_path, **RUBY, db__schema_DOT_rb=schema, app__c_DOT_rb=page)) is ill


@pytest.mark.parametrize(
    ("written", "severity"),
    [("r.update!(status: 'done')", "medium"), ("r.update!(name: 'x')", "low"), ("r.touch(:finished_at)", "medium")],
)
def test_what_a_record_has_come_to_is_written_more_than_once(tmp_path: Path, written: str, severity: str) -> None:
    job = RUBY["app__jobs__build_DOT_rb"].replace("r.update!(status: 'done')", written)
    page = SHOW.format("stale?(last_modified: @report.updated_at)")
    [one] = judged("COD013", tmp_path, app__jobs__build_DOT_rb=job, app__c_DOT_rb=page).findings

    assert one.severity == severity


def test_a_name_that_says_nothing_proves_no_stages(tmp_path: Path) -> None:
    page = SHOW.format('Rails.cache.fetch("r/#{model.updated_at.to_i}") { 1 }')
    [one] = judged("COD013", tmp_path, **RUBY, app__c_DOT_rb=page).findings

    assert one.severity == "low"
