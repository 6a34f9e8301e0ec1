"""Which rows belong together: the table VIEWS, the clusters that edges make, which copies may go. Splits nothing."""
