"""The Celery binding: the only place that has heard of Celery. A task is one move and carries ids."""
