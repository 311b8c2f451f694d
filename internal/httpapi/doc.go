// Package httpapi is the vault's HTTP edge: the contract of api/openapi.yaml, served.
//
// It owns statuses, problem documents, the request log, bounds of time and size, and the decoding of requests. Each handler decodes, calls
// one use case and encodes; what may happen is decided behind it. What does not fit the contract never reaches a handler, and no route
// exists that the contract does not name and the role table (package auth) does not decide on.
//
// It never repeats a submitted value, in no answer and in no log line, never logs ids, tokens or bodies, and answers what does not exist
// and what may not be seen with the same bytes. It trusts no forwarding header, but of proxies it was told to trust, and keeps
// nothing between requests but how many came from where.
package httpapi

//go:generate go tool -modfile=../../scripts/tools.mod oapi-codegen -config server.yaml ../../api/openapi.yaml
//go:generate go tool -modfile=../../scripts/tools.mod oapi-codegen -config spec.yaml ../../api/openapi.yaml
