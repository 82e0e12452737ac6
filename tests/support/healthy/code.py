"""Source in which nothing is wrong."""

from kiqdoctor.doctor.facts.code import Source

FACTS = (Source(files=1),)
