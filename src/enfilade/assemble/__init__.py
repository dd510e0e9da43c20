"""The composition root: the only room that knows every other. A configuration goes in; what the supervisor runs comes out.

`try_out` (trial.py) finds what only constructors refuse. `EdgePlan` (plan.py) is one configuration in the supervisor,
`EdgeWorker` (worker.py) the same in a worker; `Sites` (sites.py) compiles hosts, patterns and chains; `explain` (explain.py)
shows what was compiled.
"""
