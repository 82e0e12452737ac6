"""Packages without a known flaw."""

from kiqdoctor.doctor.facts.packages import Advisories, Package, Packages

FACTS = (Packages((Package("ruby", "sidekiq", "7.3.9", "Gemfile.lock"),), sources=("Gemfile.lock",)), Advisories())
