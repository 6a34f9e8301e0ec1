"""One file per verb that is no stage: chat, compare, doctor, plan, rollouts, score, starters, trace. Nothing
imports them but the command line and `whet.api`; a stage lives in `data`, `train` or `evaluation`, never here.
"""
