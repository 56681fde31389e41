// SPDX-License-Identifier: Apache-2.0

package objectstore

import (
	"encoding/json"
	"os"
	"regexp"
	"testing"

	"github.com/minio/minio-go/v7/pkg/lifecycle"
	"github.com/stretchr/testify/require"

	"github.com/millrace/millrace/testbed/miniotest"
)

func TestTheLifecycleRulesOfTheHowToAreTakenByARealStore(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/how-to/lake-lifecycle.md")
	require.NoError(t, err)
	server := miniotest.Start(t, miniotest.Options{})
	name := newBucket(server)
	f := func(document string, rules ...string) {
		t.Helper()
		found := regexp.MustCompile("(?s)```json " + regexp.QuoteMeta(document) + "\n(.*?)```").FindSubmatch(page)
		require.NotNil(t, found)
		var given, kept struct{ Rules []map[string]any }
		require.NoError(t, json.Unmarshal(found[1], &given))
		for _, r := range given.Rules {
			delete(r, "AbortIncompleteMultipartUpload") // MinIO passes over it, as the page says
		}
		var c lifecycle.Configuration
		require.NoError(t, json.Unmarshal(found[1], &c))
		understood, err := json.Marshal(&c)
		require.NoError(t, err)
		require.JSONEq(t, string(found[1]), string(understood), "all of it was understood")
		require.NoError(t, server.Client().SetBucketLifecycle(t.Context(), name, &c))
		got, err := server.Client().GetBucketLifecycle(t.Context(), name)
		require.NoError(t, err)
		var ids []string
		for _, r := range got.Rules {
			ids = append(ids, r.ID)
			require.Equal(t, "Enabled", r.Status)
		}
		require.Equal(t, rules, ids)
		text, err := json.Marshal(got)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(text, &kept))
		require.Equal(t, given, kept)
	}
	f("lifecycle.json", "events", "failed-events")
	require.NoError(t, server.Client().EnableVersioning(t.Context(), name))
	f("lifecycle-versioned.json", "old-versions", "markers")
}
