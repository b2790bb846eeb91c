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

# distribute-secret
path "{mount}/delete/{path}" {
  capabilities = ["update"]
}
