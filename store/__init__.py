"""Tables, transactions, migrations, encryption: the only place that speaks SQL."""
