"""The report of a job: report.json for machines, report.html for people."""
