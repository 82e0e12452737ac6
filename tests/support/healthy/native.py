"""An environment without compiled extensions."""

from kiqdoctor.doctor.facts.native import Crashes, NativeCode

FACTS = (NativeCode(environments=("Gemfile.lock",)), Crashes(looked=("/var/log/shop.log",)))
