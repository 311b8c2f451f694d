// Package auth answers two questions about a request: who signed in, and may this role ask for this at all.
//
// It owns challenges, sessions and the table of roles and actions. A session says who is there; it signs nothing and opens nothing, so a
// stolen token lists what its actor may list until it expires (ARCHITECTURE §2). What an actor may do with a case is the law's business
// (package evidence), asked by package vault; the table here only says which doors a role may knock at.
//
// It may assume that Records are durable and that Directory is the present state. It never keeps a token, never says why a sign-in
// failed, and never lets a session outlive the standing of its actor.
package auth
