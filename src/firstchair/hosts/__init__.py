"""Other hosts of logins: AWS Lambda and a SageMaker endpoint, which have no lasting disk."""
