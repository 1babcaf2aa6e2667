"""A flash sale against the running server: many buyers, few units, and the proof that every unit went once (S5).

`stage` puts an article of its own on sale and takes it off again, `visitor` is one browser, `crowd` what buyers do,
`proof` what must be true afterwards, `report` how it is told. Development only, loopback only.
"""
