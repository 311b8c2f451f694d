package client

import "strongroom.example/strongroom/internal/dossier"

// Description is what description.age holds (FORMATS §8): one form, one reader, for clients and for courts.
type Description = dossier.Description
