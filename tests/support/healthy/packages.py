"""Packages without a known flaw."""

from healthy.moment import NOW
from kiqdoctor.doctor.facts.packages import Advisories, Package, Packages, Pin, Runtimes

SUPPORTED = Pin("ruby", "3.4.1", ".ruby-version")
FACTS = (
    Packages((Package("ruby", "sidekiq", "7.3.9", "Gemfile.lock"),), sources=("Gemfile.lock",)),
    Advisories(),
    Runtimes((SUPPORTED,), NOW),
)
