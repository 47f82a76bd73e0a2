"""What tests of several rooms share; `from support.module import name`."""
