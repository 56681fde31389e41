// SPDX-License-Identifier: Apache-2.0

package clickhouseeventsexporter

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/config/configtls"

	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/testbed/enginetest"
	"github.com/millrace/millrace/testbed/freeport"
)

// tlsFront terminates TLS in front of a server, as the native port of a production server does itself. It returns
// its address and the file of the certificate to trust.
func tlsFront(t *testing.T, server string) (address, caFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	caFile = filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(caFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
	require.NoError(t, err)
	var open sync.WaitGroup
	t.Cleanup(func() {
		_ = listener.Close()
		open.Wait()
	})
	open.Go(func() {
		for {
			in, err := listener.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", server)
			if err != nil {
				_ = in.Close()
				continue
			}
			forward := func(dst, src net.Conn) {
				_, _ = io.Copy(dst, src)
				_ = dst.Close()
			}
			open.Go(func() { forward(out, in) })
			open.Go(func() { forward(in, out) })
		}
	})
	return listener.Addr().String(), caFile
}

func TestEventsGoInOverTLSWithAPassword(t *testing.T) {
	x := newTestExporter(t, nil, func(c *Config) {
		address, caFile := tlsFront(t, c.Endpoints[0])
		c.Endpoints = []string{address}
		c.Password = "s3cret"
		c.TLS = configoptional.Some(configtls.ClientConfig{Config: configtls.Config{CAFile: caFile}})
	}, enginetest.WithUser("writer", "s3cret"))
	b := event.NewBuilder("t", "s", "test")
	add(t, b, "a", "1", `{}`)
	x.send(t, b)
	assert.Equal(t, "1", x.engine.Query("SELECT event_id FROM events"))
}

func TestAnEndpointThatDoesNotAnswerIsPassedOver(t *testing.T) {
	dead := freeport.Must(t, 1)[0]
	x := newTestExporter(t, nil, func(c *Config) { c.Endpoints = []string{dead, c.Endpoints[0]} })
	for i := range 4 { // each endpoint is first in turn
		b := event.NewBuilder("t", "s", "test")
		add(t, b, "a", fmt.Sprint(i), `{}`)
		x.send(t, b)
	}
	assert.Equal(t, "4", x.engine.Query("SELECT count() FROM events"))
}
