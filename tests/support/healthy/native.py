"""An environment without compiled extensions."""

from kiqdoctor.doctor.facts.native import NativeCode

FACTS = (NativeCode(environments=("Gemfile.lock",)),)
