"""What happens next, for one login: generators that yield steps and decide by the replies.

No JSON key, no URL, no thread and no `await` lives here; `steps` says what a flow can ask for.
Reading order: `steps`, `policy`, `refresh`, `pause`, `saving`, `login`, `revocation`.
"""
