package daemon

import (
	"context"
	"slices"

	"strongroom.example/strongroom/internal/evidence"
)

// nameVersion logs which program serves the vault, where the configuration in force names another one (RULES §3.7). A restored vault that
// waits for its confirmation says nothing; it does when it is started after that.
func (p *parts) nameVersion(ctx context.Context) error {
	policy, author := evidence.PolicyOf(p.settings.Origin), evidence.ActorOf(p.settings.Actor)
	version := p.options.Tool.Version
	builds, err := builds(p.options.Tool.Build)
	if err != nil {
		return err
	}
	for tries := 5; ; tries-- {
		states, err := p.records.States(ctx, policy, author)
		if err != nil {
			return err
		}
		s, ok := states[policy].(*evidence.PolicyState)
		if !ok {
			return ErrNotFounded
		}
		now := p.options.Now()
		if s = s.At(evidence.At(now)); !s.Restored.IsZero() || s.Version == version && slices.Equal(s.Builds, builds) {
			return nil
		}
		e := &evidence.Event{Kind: evidence.VaultConfigured, Details: &evidence.VaultConfiguredDetails{
			Rules: s.Rules, Recovery: s.Recovery, Policy: s.Policy, LogKeys: s.LogKeys, Witness: s.Witness, Version: version, Builds: builds,
			TimestampRoots: s.TimestampRoots,
		}}
		signed, err := p.author.Sign(e, policy, evidence.Facts{Origin: p.settings.Origin, Founders: p.founders, States: states}, now)
		if err != nil {
			return err
		}
		if err := p.vault.Found(ctx, signed); evidence.KindOf(err) != evidence.Conflict || tries == 1 {
			return err
		}
	}
}
