"""The live view: the last seconds and the last hour of an installation, and the doctor's findings beside it.

It is handed everything that it reads with (``feed.Feed``), and shows frozen records. The only importer of textual.
"""
