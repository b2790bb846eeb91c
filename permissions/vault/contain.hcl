# OpenBao / Vault: contain. Made by `npm run gen` from providers/vault/manifest.ts.
# {placeholders} are for you to fill in; where a block has {path}, write one for each store of the inventory.

# enable-entity
path "auth/token/accessors" {
  capabilities = ["list", "sudo"]
}

# disable-entity, enable-entity
path "auth/token/lookup-self" {
  capabilities = ["read"]
}

# disable-entity, enable-entity
path "identity/entity/id/+" {
  capabilities = ["read", "update"]
  allowed_parameters = { "disabled" = [] }
}

# enable-entity
path "auth/token/lookup-accessor" {
  capabilities = ["update"]
}
