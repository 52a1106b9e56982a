"""The labelers' tool without its pages: who may do what, what is to be done, how it is stored. No torch, no HTTP."""
