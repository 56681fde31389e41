// SPDX-License-Identifier: Apache-2.0

package segmentreceiver

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/httpingest"
)

// settings answers what browser and mobile SDKs ask before they send: where to, and that there are no other
// destinations to load. SDK metrics are turned off.
func (r *segmentReceiver) settings(w http.ResponseWriter, req *http.Request) {
	key := req.PathValue("writeKey")
	if _, ok := r.keys.Owner([]byte(key)); !ok {
		r.refuse(w, req, errWriteKey)
		return
	}
	protocol, host := r.publicAddress(req)
	// The address depends on the request's own, so nobody else's cache may keep it.
	w.Header().Set("Cache-Control", "private, max-age=60")
	body := []byte(`{"integrations":{"Segment.io":{"apiKey":`)
	body = event.AppendJSONString(body, key)
	body = append(body, `,"apiHost":`...)
	body = event.AppendJSONString(body, host+"/v1")
	body = append(body, `,"protocol":`...)
	body = event.AppendJSONString(body, protocol)
	body = append(body, `,"unbundledIntegrations":[],"maybeBundledConfigIds":{},"addBundledMetadata":false,`+
		`"versionSettings":{"version":"4.4.7","componentTypes":["browser"]}}},`+
		`"plan":{"track":{"__default":{"enabled":true,"integrations":{}}},`+
		`"identify":{"__default":{"enabled":true}},"group":{"__default":{"enabled":true}}},`+
		`"edgeFunction":{},"enabledMiddleware":{},"middlewareSettings":{},"remotePlugins":[],`+
		`"legacyVideoPluginsEnabled":false,"analyticsNextEnabled":true,"metrics":{"sampleRate":0}}`...)
	r.countStatus(req.Context(), http.StatusOK)
	httpingest.WriteJSON(w, http.StatusOK, body)
}

// publicAddress returns scheme, and host with any path, under which the sender reaches this receiver.
func (r *segmentReceiver) publicAddress(req *http.Request) (scheme, host string) {
	if u, err := url.Parse(r.cfg.PublicURL); err == nil && u.Host != "" {
		return u.Scheme, u.Host + strings.TrimSuffix(u.Path, "/")
	}
	if req.TLS != nil {
		return "https", req.Host
	}
	return "http", req.Host
}
