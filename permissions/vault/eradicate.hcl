# OpenBao / Vault: eradicate. Made by `npm run gen` from providers/vault/manifest.ts.
# {placeholders} are for you to fill in; where a block has {path}, write one for each store of the inventory.

# destroy-secret-id
path "auth/+/role/+/secret-id" {
  capabilities = ["list"]
}

# destroy-secret-id, revoke-lease, revoke-token
path "auth/token/lookup-self" {
  capabilities = ["read"]
}

# destroy-secret-id
path "auth/+/role/+/secret-id-accessor/destroy" {
  capabilities = ["update"]
}

# destroy-secret-id
path "auth/+/role/+/secret-id-accessor/lookup" {
  capabilities = ["update"]
}

# revoke-token
path "auth/token/lookup-accessor" {
  capabilities = ["update"]
}

# revoke-token
path "auth/token/revoke-accessor" {
  capabilities = ["update"]
}

# revoke-lease
path "sys/leases/lookup" {
  capabilities = ["update"]
}

# revoke-lease
path "sys/leases/revoke" {
  capabilities = ["update"]
}
