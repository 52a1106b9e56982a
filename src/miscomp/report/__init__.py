"""From the records of an audit to `report.json`, a table in the terminal and one HTML page."""
