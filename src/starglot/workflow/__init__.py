"""What serves the workflow and no science: which code a job runs, why it runs, recovery, checks, downloads."""
