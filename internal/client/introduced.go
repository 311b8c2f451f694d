package client

import (
	"context"
	"errors"
	"net/http"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/wire"
)

// PresentTrust asks a vault for its present trust file, for who has been given an address and no file. It counts for nothing before its number
// was compared over a second channel, and is pinned as one that was handed over (Pin). through is nil for the way that holds to the address.
func PresentTrust(ctx context.Context, address Address, through Doer) (tlog.Trust, error) {
	if through == nil {
		through = defaultHTTP(address)
	}
	c := &Client{cfg: Config{HTTP: through}, address: address.URL(), pause: pause}
	vault, err := lossy(ctx, c, func() (wire.Vault, error) {
		req, err := wire.NewGetVaultRequest(c.address)
		return public[wire.Vault](ctx, c, req, err, http.StatusOK)
	})
	if err != nil {
		return tlog.Trust{}, err
	}
	if _, err := evidence.ParseHash(vault.TrustFingerprint); err != nil {
		return tlog.Trust{}, alarm(Malformed, evidence.Stream{}, err)
	}
	file, err := c.trustFile(ctx, vault.TrustFingerprint)
	if err != nil {
		return tlog.Trust{}, err
	}
	if evidence.SHA256(file).String() != vault.TrustFingerprint {
		return tlog.Trust{}, alarm(OtherTrust, evidence.Stream{}, errors.New("the file does not have the number that the vault says"))
	}
	return tlog.ParseTrust(file)
}

// trustFile asks for a trust file by its number, as bytes: whoever asks compares.
func (c *Client) trustFile(ctx context.Context, number string) ([]byte, error) {
	return lossy(ctx, c, func() ([]byte, error) {
		req, err := wire.NewGetTrustRequest(c.address, number)
		if err != nil {
			return nil, err
		}
		resp, err := c.exchange(req.WithContext(ctx), http.StatusOK)
		if err != nil {
			return nil, err
		}
		return readAll(resp, tlog.MaxTrustSize)
	})
}
