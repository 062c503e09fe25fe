"""Other ways in: AWS Lambda and a SageMaker endpoint, for machines without a disk that stays."""
