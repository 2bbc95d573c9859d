"""The relay under load: its process is measured alone, those who load it are processes of their own. `make load`."""
