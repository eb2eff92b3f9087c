"""One control tick: observation -> tensors -> model step -> safe command."""
