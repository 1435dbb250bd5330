"""Plans doses, rings reminders, publishes to devices (scheduler.py); tells people (worker.py). Two processes of one image."""
