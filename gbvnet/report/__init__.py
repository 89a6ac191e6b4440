"""Reports: tables, figures and sentences from predictions alone. Imports no torch."""
