"""Sets the least pods of an autoscaler from inside the cluster: `set_floor.py AUTOSCALER REPLICAS`.

Only the standard library, and only the one right it needs: to patch that autoscaler.
"""

import json
import os
import ssl
import sys
from pathlib import Path
from urllib.request import Request, urlopen

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


def set_floor(server: str, account: Path, autoscaler: str, replicas: int) -> int:
    """Patch `minReplicas`; what the cluster says it is now."""
    namespace = (account / "namespace").read_text().strip()
    certificates = account / "ca.crt"
    trusted = (
        ssl.create_default_context(cafile=str(certificates)) if certificates.exists() else None
    )
    request = Request(
        f"{server}/apis/autoscaling/v2/namespaces/{namespace}/"
        f"horizontalpodautoscalers/{autoscaler}",
        json.dumps({"spec": {"minReplicas": replicas}}).encode(),
        {
            "Authorization": f"Bearer {(account / 'token').read_text().strip()}",
            "Content-Type": "application/merge-patch+json",
        },
        method="PATCH",
    )
    with urlopen(request, timeout=30, context=trusted) as answer:
        return int(json.load(answer)["spec"]["minReplicas"])


if __name__ == "__main__":
    host = os.environ["KUBERNETES_SERVICE_HOST"]
    address = f"{f'[{host}]' if ':' in host else host}:{os.environ['KUBERNETES_SERVICE_PORT']}"
    print(
        sys.argv[1],
        "keeps at least",
        set_floor(f"https://{address}", ACCOUNT, sys.argv[1], int(sys.argv[2])),
    )
