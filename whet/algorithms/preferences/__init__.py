"""Losses of preferences: what people or graders liked better, learned without rollouts. No sampling and no advantages.

Bradley-Terry and Plackett-Luce score completions with a scalar of their own (reward models); DPO, IPO and KTO use the
log-ratio of policy and reference as that scalar.
"""
