"""A Rails project as files, in which the static checks find one thing."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

NOTHING: Mapping[str, str] = MappingProxyType({})
FILES = {
    "Gemfile.lock": "GEM\n  remote: https://rubygems.org/\n  specs:\n    right_aws (3.1.0)\n    sidekiq (7.3.9)\n\n"
    "PLATFORMS\n  ruby\n\nDEPENDENCIES\n  right_aws\n  sidekiq\n",
    ".ruby-version": "3.3.6\n",
    "app/jobs/upload.rb": "class Upload\n  include Sidekiq::Job\n  def perform\n    RightAws::S3.new\n  end\nend\n",
}
TITLE = "right_aws 3.1.0 keeps connections and caches in state that threads share, without a lock"


def project(folder: Path, further: Mapping[str, str] = NOTHING, *, sound: bool = False) -> Path:
    """The project at this folder, with further files; `sound` without the gem that is at fault."""
    for path, text in {**FILES, **further}.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text.replace("right_aws", "aws-sdk-s3").replace("RightAws", "Aws") if sound else text)
    return folder
