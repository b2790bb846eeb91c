# OpenBao / Vault: mint. Made by `npm run gen` from providers/vault/manifest.ts.
# {placeholders} are for you to fill in; where a block has {path}, write one for each store of the inventory.

# distribute-secret
path "{mount}/data/{path}" {
  capabilities = ["create", "read", "update"]
}

# distribute-secret, stage-secret
path "{mount}/data/{path}--staged/*" {
  capabilities = ["create", "read", "update"]
}

# distribute-secret, stage-secret
path "{mount}/metadata/{path}--staged/*" {
  capabilities = ["create", "delete", "read", "update"]
}

# distribute-secret
path "{mount}/metadata/{path}" {
  capabilities = ["delete", "read"]
}

# mint-secret-id
path "auth/+/role/+/secret-id" {
  capabilities = ["list"]
}

# mint-secret-id
path "auth/+/role/+/custom-secret-id" {
  capabilities = ["update"]
}

# mint-secret-id
path "auth/+/role/+/secret-id-accessor/destroy" {
  capabilities = ["update"]
}

# mint-secret-id
path "auth/+/role/+/secret-id-accessor/lookup" {
  capabilities = ["update"]
}

# distribute-secret
path "{mount}/delete/{path}" {
  capabilities = ["update"]
}
