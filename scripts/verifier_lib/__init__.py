"""An independent verifier of zkLoom proofs, written from docs/protocol.md. Standard library only; slow on purpose."""
