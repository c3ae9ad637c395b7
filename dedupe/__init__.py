"""What came before, and what a message is to it. Pure: the store recalls the past, these functions judge."""
